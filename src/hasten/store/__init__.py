"""WHERE BYTES LIVE: databases behind one interface each, and what is kept in them."""
