"""Settings, named limits, the home folder, the trust store."""
