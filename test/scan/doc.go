// Package scan lets `gatehouse scan` look at packages of others, installed from npm and
// PyPI, in the files of a client: set up with care, as most pages tell, and badly. A
// person has judged every finding, right or wrong, and docs/scan-noise.md says how.
package scan
