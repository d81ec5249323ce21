//! The drill: the simulated cloud and its scenarios (speaks HTTP like Azure).
