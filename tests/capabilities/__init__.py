"""The results of each store in the contract, and the tables of them in the documentation."""
