"""PostgreSQL: tables, connections and migrations."""
