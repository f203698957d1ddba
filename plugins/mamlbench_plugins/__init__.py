"""What ships with mamlbench: registered by the same entry points, and held to the same contracts, as a stranger's."""
