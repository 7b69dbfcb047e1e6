"""Is it fair: scenarios in virtual time on the real core, beside simpler schedulers (`make bench-fairness`)."""
