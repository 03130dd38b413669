"""HTTP over orders: routes, bodies, and how refusals of input are worded."""
