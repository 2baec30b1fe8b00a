"""What all tests share: the clock, the databases, the corpus."""
