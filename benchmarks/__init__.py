"""This suite against its peers: the same work, side by side in one run."""
