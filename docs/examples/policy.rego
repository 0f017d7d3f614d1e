package hermes

import rego.v1

administrators := {"alice"}

default decision := {"allow": false, "reason": "no rule allows it"}

decision := {"allow": true, "headers": {"x-tier": tier}} if {
	input.user != null
	not administration
}

decision := {"allow": true, "headers": {"x-tier": "gold"}} if {
	administration
	input.user in administrators
}

decision := {"allow": false, "status": 404, "reason": "there is nothing here"} if {
	administration
	not input.user in administrators
}

administration if input.pathSegments[0] == "admin"

default tier := "plain"

tier := "gold" if input.user in administrators
