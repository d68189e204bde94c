"""Drawing faces and names into pictures."""
