"""The official SDKs' own tests, directly against a mock of their provider and through the gateway."""
