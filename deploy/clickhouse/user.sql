-- A user for Gnomon who owns its database and nothing else. Run it as an administrator, with a password of your own;
-- on a cluster add ON CLUSTER gnomon to each statement.
CREATE DATABASE IF NOT EXISTS gnomon;
CREATE USER IF NOT EXISTS gnomon IDENTIFIED WITH sha256_password BY 'change me';
GRANT ALL ON gnomon.* TO gnomon;
-- Only for a cluster: statements ON CLUSTER.
GRANT CLUSTER ON *.* TO gnomon;
