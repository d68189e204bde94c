"""People: what machines say of faces, what was decided and what was refused, and what these amount to."""
