// Package matrix runs real clients against real servers with one gateway between
// them, and keeps docs/COMPATIBILITY.md true: it says for every client and server
// what works, and why what does not work does not.
package matrix
