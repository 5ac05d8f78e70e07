"""How many units: methods, rules of the configuration, a strategy's sizes, a user's own sizers."""
