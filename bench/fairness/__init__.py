"""Is it fair, measured: scenarios in virtual time on the real core, beside simpler schedulers (`make bench-fairness`)."""
