"""Plan, back ends and the stylizer."""
