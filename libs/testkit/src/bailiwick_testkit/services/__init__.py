"""Each service as its tests run it, and the data that they give it."""
