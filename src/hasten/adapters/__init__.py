"""FOR OTHER FRAMEWORKS: our cache in the shape that they expect."""
