"""What a step computes outside the matrix products, each kernel behind one dispatch. Needs torch."""
