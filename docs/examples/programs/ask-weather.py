"""
A consumer on python-ndn: it asks once, and prints the answer.
"""

from ndn.appv2 import NDNApp, pass_all
from ndn.encoding import Name

app = NDNApp()


async def ask():
    name, content, _ = await app.express("/weather/temperature", pass_all, must_be_fresh=True)
    print(f"{Name.to_str(name)}: {bytes(content).decode()}")
    app.shutdown()


app.run_forever(ask())
