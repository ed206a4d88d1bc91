"""The results of each store in the contract, and the table of them in the documentation."""
