"""What will run and whether it can: families, inputs, resumption, warm start, provenance."""
