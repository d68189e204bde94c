"""Who may call: certificates, tokens and JWTs, and the scopes that each method asks for."""
