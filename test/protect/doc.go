// Package protect protects the file of a client and lets real clients start their
// servers from it.
package protect
