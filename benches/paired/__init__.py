"""Paired experiments: what `benches/lab` is made of."""
