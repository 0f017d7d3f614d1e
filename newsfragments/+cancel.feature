`hermes cancel`, and a button on the controller's page, take back a change that is under way.
