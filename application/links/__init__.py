"""Use cases of mailed links: verification, password reset, change of address, invitation, verified sign-up."""
