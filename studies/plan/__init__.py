"""From a study to its trials and the units of work that train them."""
