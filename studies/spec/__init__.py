"""From a TOML file to a `Study`."""
