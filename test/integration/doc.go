// Package integration tests the program as a user runs it: the built gateway in
// front of real servers, good and hostile ones, over Streamable HTTP and stdio.
// Its client writes and reads its bytes by itself, because an SDK would keep it
// from sending what an attacker sends and would hide what came back.
package integration
