// Package inside makes the network of a sandbox: everything that is connected to,
// and every name that is asked for, is led to the sockets of a broker outside, and
// nothing else leaves a process. It needs Linux.
//
// The network namespace has no interface but loopback, so nothing in it can reach
// another machine whatever the rules say. They only lead connections to the broker:
// AnyIP routes make every address local, nftables redirects TCP and names, and the
// rest, such as QUIC and ICMP, is refused at once instead of being lost.
package inside
