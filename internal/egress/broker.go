package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/egress/handover"
)

// Limits bound what one server may do on the network. A zero field has the default
// beside it.
type Limits struct {
	Connections    int   // at once; 256
	BytesUp        int64 // sent by the server, in a day; 1 GiB
	BytesDown      int64 // got by the server, in a day; 16 GiB
	BytesPerSecond int64 // each way; not limited
}

// Options of a Broker. The zero value is the strictest.
type Options struct {
	Limits Limits
	// Resolver is the system's if nil.
	Resolver Resolver
}

const (
	defaultConnections = 256 // a browser opens some dozens
	defaultBytesUp     = 1 << 30
	defaultBytesDown   = 16 << 30
	// maxRefusedNames are recorded by name; the rest is only counted.
	maxRefusedNames = 1024
	// maxRefusals are counted each; what is refused after that is counted together.
	maxRefusals = 1024
	// connectionsPerSecond and queriesPerSecond bound the work that a server makes
	// here by opening connections and asking for names in a loop; more of them wait.
	connectionsPerSecond = 200
	queriesPerSecond     = 500
	// helloTimeout is how long a client may take to say which host it means.
	helloTimeout = 10 * time.Second
	// connectTimeout of a connection: resolving, and all addresses that are tried.
	connectTimeout = 20 * time.Second
)

// Broker is the network of one sandboxed server. It denies whatever no rule allows.
type Broker struct {
	sites   []site
	log     Log
	options Options

	slots             chan struct{} // one for each connection
	up, down          budget
	paceUp, paceDown  pace
	paceNew, paceName pace
	connections       atomic.Uint64 // numbers them
	v6                atomic.Bool   // the sandbox has IPv6
	names             nameTable

	mu           sync.Mutex
	refusedNames map[string]bool
	refusals     map[string]int // how often, by what was refused
}

// NewBroker checks all rules. Without rules it refuses everything, and records it.
func NewBroker(rules []Rule, log Log, options Options) (*Broker, error) {
	sites, err := compile(rules)
	if err != nil {
		return nil, fmt.Errorf("reading network rules: %w", err)
	}
	limits := &options.Limits
	switch {
	case log == nil:
		return nil, errors.New("a broker without a log")
	case limits.Connections < 0 || limits.BytesUp < 0 || limits.BytesDown < 0 || limits.BytesPerSecond < 0:
		return nil, errors.New("a negative limit of the network")
	}
	if limits.Connections == 0 {
		limits.Connections = defaultConnections
	}
	if limits.BytesUp == 0 {
		limits.BytesUp = defaultBytesUp
	}
	if limits.BytesDown == 0 {
		limits.BytesDown = defaultBytesDown
	}
	b := &Broker{
		sites: sites, log: log, options: options,
		slots:        make(chan struct{}, limits.Connections),
		paceUp:       pace{perSecond: limits.BytesPerSecond},
		paceDown:     pace{perSecond: limits.BytesPerSecond},
		paceNew:      pace{perSecond: connectionsPerSecond},
		paceName:     pace{perSecond: queriesPerSecond},
		refusedNames: map[string]bool{}, refusals: map[string]int{},
	}
	if n := len(b.forwards()); n > handover.MaxForwards {
		return nil, fmt.Errorf("%d places on this machine in the network rules, want at most %d", n, handover.MaxForwards)
	}
	b.up.full, b.down.full = limits.BytesUp, limits.BytesDown
	return b, nil
}

// forwards are the addresses on loopback that rules name. Everything else on
// loopback stays inside the sandbox.
func (b *Broker) forwards() []netip.AddrPort {
	var list []netip.AddrPort
	for _, s := range b.sites {
		addresses := []netip.Addr{s.address}
		if s.Host == localhost {
			addresses = loopbackHosts
		}
		for _, a := range addresses {
			for _, port := range s.Ports {
				if a.IsLoopback() {
					list = append(list, netip.AddrPortFrom(a, port))
				}
			}
		}
	}
	return list
}

// accept serves a listener until it is closed. original says what a connection was
// made to before it was led here.
func (b *Broker) accept(ctx context.Context, l *net.TCPListener, original func(*net.TCPConn) (netip.AddrPort, error)) {
	var serving sync.WaitGroup
	defer serving.Wait()
	for b.paceNew.wait(ctx, 1) == nil {
		client, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			if err == nil {
				client.Close()
			}
			return
		}
		if err != nil {
			continue // the pace keeps a lasting error, such as too many open files, from spinning
		}
		to, err := original(client)
		if err != nil {
			to = netip.AddrPort{}
		}
		c := b.connection(client, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()))
		select {
		case b.slots <- struct{}{}:
			serving.Go(func() {
				defer func() { <-b.slots }()
				c.serve(ctx)
			})
		default:
			c.refuse(TooManyConnections, "")
			c.close()
		}
	}
}

// answerPackets serves port 53 over UDP until the socket is closed.
func (b *Broker) answerPackets(ctx context.Context, conn *net.UDPConn) {
	buffer := make([]byte, maxQuery+1)
	for b.paceName.wait(ctx, 1) == nil {
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			return
		}
		if err != nil {
			continue
		}
		if reply := b.answer(buffer[:n]); reply != nil {
			_, _ = conn.WriteToUDPAddrPort(reply, from) // the client asks again
		}
	}
}

// connection is one that was made inside. The goroutine that serves it owns it; for
// plain HTTP, where the transport dials by itself, that is whoever holds mu.
type connection struct {
	broker   *Broker
	client   *net.TCPConn
	to       netip.AddrPort // what was connected to inside
	host     string         // what that stands for: a name, or the address
	site     site           // the rule that allows it
	number   uint64
	start    time.Time
	up, down flow

	mu       sync.Mutex
	protocol Protocol
	upstream *net.TCPConn   // the first that was dialled, nil before
	address  netip.AddrPort // of the host
	lent     bool           // upstream has been given to the transport of HTTP
	opened   bool           // on record
	reset    bool           // the client sees a reset, because it was refused
	closed   bool
	ended    Reason
}

func (b *Broker) connection(client *net.TCPConn, to netip.AddrPort) *connection {
	c := &connection{broker: b, client: client, to: to, number: b.connections.Add(1), start: time.Now()}
	life := &life{}
	life.moved.Store(c.start.UnixNano())
	c.up = flow{budget: &b.up, pace: &b.paceUp, life: life, count: &atomic.Int64{}}
	c.down = flow{budget: &b.down, pace: &b.paceDown, life: life, count: &atomic.Int64{}}
	return c
}

// serve carries one connection from its first byte to its last. This is the whole
// path; nothing leaves a sandbox any other way.
func (c *connection) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		c.close()
	}()
	stop := context.AfterFunc(ctx, func() { c.client.Close() })
	defer stop()

	if c.to.Port() == portOfDNS {
		c.broker.answerStream(c.client)
		return
	}
	var reason Reason
	if c.host, c.site, reason = c.broker.decide(c.to); reason != "" {
		c.refuse(reason, "")
		return
	}
	switch c.protocol = c.site.protocol(c.to.Port()); c.protocol {
	case TLS:
		c.serveTLS(ctx)
	case HTTP:
		c.serveHTTP(ctx)
	case TCP:
		if c.dial(ctx) == nil {
			c.relay(ctx, nil)
		}
	default:
		c.serveFirst(ctx)
	}
}

// serveTLS relays a connection whose ClientHello names the host that the address
// stands for. The bytes that were read for that are sent on as they came.
//
// What is inside TLS is not seen: a request for another host on the same servers
// (domain fronting), or an encrypted ClientHello whose outer name is the right one,
// passes, and it is the host that was allowed that answers it.
func (c *connection) serveTLS(ctx context.Context) {
	c.protocol = TLS
	_ = c.client.SetReadDeadline(time.Now().Add(helloTimeout))
	name, hello, err := readHello(c.client)
	if err != nil {
		c.refuse(NotTLS, err.Error())
		return
	}
	_ = c.client.SetReadDeadline(time.Time{})
	if !c.meant(name) {
		reason := WrongName
		if name == "" {
			reason = NoName
		}
		c.refuse(reason, name)
		_, err := c.client.Write(unrecognizedName)
		c.reset = err != nil
		return
	}
	if c.dial(ctx) == nil {
		c.relay(ctx, hello)
	}
}

// meant reports whether a name that the client sent is the host that it connected
// to. For an address, TLS has no name (RFC 6066, section 3), and localhost is one
// for loopback addresses where the rule says so.
func (c *connection) meant(name string) bool {
	if c.site.address.IsValid() {
		return name == ""
	}
	if c.site.Host == localhost {
		return name == "" || canonicalName(name) == localhost
	}
	return name != "" && canonicalName(name) == c.host
}

// serveFirst is for ports without a usual protocol. The host is connected at once,
// because in many protocols it speaks first; if the client does, what looks like
// TLS or HTTP is held to the rules of these.
func (c *connection) serveFirst(ctx context.Context) {
	if c.dial(ctx) != nil {
		return
	}
	first, err := clientSpeaks(c.client, c.upstream)
	switch {
	case err != nil:
		c.ended = Idle
	case len(first) > 0 && first[0] == tlsHandshake:
		c.serveTLS(ctx)
	case looksLikeHTTP(first):
		c.serveHTTP(ctx)
	default:
		c.protocol = TCP
		c.relay(ctx, nil)
	}
}

// relay sends what has been read of the client's bytes, and then moves the rest.
func (c *connection) relay(ctx context.Context, read []byte) {
	sent := &counted{Conn: c.upstream, ctx: ctx, up: c.up, down: c.down}
	if _, err := sent.Write(read); err == nil {
		// How it ended is told by its life; that one side hung up needs no record.
		_ = relay(ctx, c.client, c.upstream, c.up, c.down)
	}
}

// dial connects to the host, after the connection is on record. It refuses the
// connection itself. A connection that is there already is kept.
func (c *connection) dial(ctx context.Context) error {
	if c.upstream != nil {
		return nil
	}
	conn, err := c.connect(ctx)
	c.upstream = conn
	return err
}

// connect resolves the host, checks every address it has, and dials those that were
// checked: what the name resolves to a moment later has no effect. The end of ctx
// ends the connection.
func (c *connection) connect(whole context.Context) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(whole, connectTimeout)
	defer cancel()
	addresses, err := c.resolve(ctx)
	if err != nil {
		reason := Unreachable
		if errors.Is(err, ErrRefused) {
			reason = NotPublic
		}
		c.refuse(reason, err.Error())
		return nil, err
	}
	c.address = netip.AddrPortFrom(addresses[0], c.to.Port())
	event := c.event(Opened)
	event.Address = c.address
	if err := c.broker.log(event); err != nil {
		c.refuse(NotRecorded, err.Error())
		return nil, err
	}
	c.opened = true
	conn, err := dialFirst(ctx, "tcp", addresses, fmt.Sprint(c.to.Port()))
	if err != nil {
		c.refuse(Unreachable, err.Error())
		return nil, err
	}
	context.AfterFunc(whole, func() { conn.Close() })
	if remote, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		c.address = remote.AddrPort()
	}
	return conn.(*net.TCPConn), nil
}

// resolve returns the addresses of the host, each of them allowed. The name is made
// absolute, so that no search domain of this machine is put behind it.
func (c *connection) resolve(ctx context.Context) ([]netip.Addr, error) {
	guard := Guard{Resolver: c.broker.options.Resolver, UnsafePrefixes: c.site.UnsafePrefixes}
	if a, err := netip.ParseAddr(c.host); err == nil {
		guard.UnsafePrefixes = []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}
		return guard.check(ctx, c.host)
	}
	return guard.check(ctx, c.host+".")
}

func (c *connection) event(kind Kind) Event {
	return Event{
		Kind: kind, Connection: c.number, Name: c.host, Port: c.to.Port(), Protocol: c.protocol,
		Address: c.address, Duration: time.Since(c.start),
	}
}

// refuse records why the connection ends here, or why a request on it does. What is
// refused is refused whether or not that can be recorded.
func (c *connection) refuse(reason Reason, detail string) {
	if c.host == "" {
		c.host = c.to.Addr().String()
	}
	event := c.event(Refused)
	event.Reason, event.Detail = reason, printableText(detail)
	if event.Times = c.broker.refused(event); worthSaying(event.Times) {
		_ = c.broker.log(event)
	}
	c.reset = true
}

// refused counts a refusal among those like it. Those of a server that tries ever new
// things are counted together after some time.
func (b *Broker) refused(e Event) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	what := fmt.Sprint(e.Name, " ", e.Port, " ", e.Reason, " ", e.Detail)
	if _, known := b.refusals[what]; !known && len(b.refusals) >= maxRefusals {
		what = ""
	}
	b.refusals[what]++
	return b.refusals[what]
}

// worthSaying keeps a server that tries something in a loop from filling the log: the
// first times are on record, and then each time that it has become ten times as many.
func worthSaying(times int) bool {
	const first = 10
	if times <= first {
		return true
	}
	for times%10 == 0 {
		times /= 10
	}
	return times == 1
}

// close ends both sides.
func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.reset {
		_ = c.client.SetLinger(0)
	}
	c.client.Close()
	if c.upstream != nil {
		c.upstream.Close()
	}
	if !c.opened {
		return
	}
	event := c.event(Closed)
	event.Up, event.Down, event.Reason = c.up.count.Load(), c.down.count.Load(), c.ended
	switch {
	case c.up.life.exhausted.Load():
		event.Reason = TooManyBytes
	case c.up.life.idled.Load():
		event.Reason = Idle
	}
	_ = c.broker.log(event) // it has ended whether or not that can be recorded
}

const maxDetail = 300 // bytes of an Event's Detail

// printableText is a detail as it may stand in a log.
func printableText(text string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= ' ' && r < 0x7f {
			return r
		}
		return '?'
	}, text)
	return clean[:min(len(clean), maxDetail)]
}
