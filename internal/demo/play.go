package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// setting is how a scene is played.
type setting struct {
	dir       string
	gateway   bool
	reporting []string // rules that only report
	apart     bool     // the client uses each server's own address instead of the joined one
	// before is called ahead of each task of the user, with its number from 0.
	before func(ctx context.Context, c *client, task int) error
}

// playTime bounds one play. Most of it is npx starting the file server.
const playTime = 90 * time.Second

// installTime bounds the first start of the file server, which npx may have to
// fetch.
const installTime = 3 * time.Minute

// serverNames in the order in which a client's configuration names them.
var serverNames = []string{"files", "mail", "weather"}

// commands are how the servers are started, the same with and without Gatehouse.
func commands(o Options, s scene, w workspace) map[string][]string {
	return map[string][]string{
		"files":   append(slices.Clone(o.Filesystem), w.files()),
		"mail":    {o.Gatehouse, "demo", "server", "mail", "--file", w.outbox()},
		"weather": {o.Gatehouse, "demo", "server", "weather", "--scene", s.name, "--file", w.loot()},
	}
}

// play plays a scene once and looks what came of it.
func play(ctx context.Context, o Options, s scene, how setting) (result Result, err error) {
	ctx, stop := context.WithTimeoutCause(ctx, playTime, fmt.Errorf("it took over %s", playTime))
	defer stop()
	w, err := newWorkspace(how.dir)
	if err != nil {
		return result, err
	}
	if result.Steps, err = act(ctx, o, s, how, w); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return result, err
	}
	if result.Stolen, err = w.stolen(s.prize); err != nil {
		return result, err
	}
	if result.Honest, err = w.honest(s, result.Steps); err != nil {
		return result, err
	}
	if how.gateway {
		result.Log, result.Records, err = readLog(auditDir(w))
	}
	return result, err
}

// act lets the client do what the user asks for. Everything that it starts has
// ended when it returns.
func act(ctx context.Context, o Options, s scene, how setting, w workspace) (steps []Step, err error) {
	st := &stage{}
	defer func() { err = errors.Join(err, st.close()) }()
	if err := st.open(ctx, o, s, how, w); err != nil {
		return nil, err
	}
	c, err := connect(ctx, st.conns)
	if err != nil {
		return nil, err
	}
	for i, task := range s.tasks {
		if how.before != nil {
			if err := how.before(ctx, c, i); err != nil {
				return nil, err
			}
		}
		step, err := c.do(ctx, task)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// stage is what the client is connected to.
type stage struct {
	gateway *gateway // nil without
	conns   []conn
}

// open connects to each server, or to the gateway in front of them. After an error
// the stage must be closed too.
func (st *stage) open(ctx context.Context, o Options, s scene, how setting, w workspace) (err error) {
	if !how.gateway {
		for _, name := range serverNames {
			c, err := startStdio(ctx, w.dir, commands(o, s, w)[name])
			if err != nil {
				return fmt.Errorf("starting %s: %w", name, err)
			}
			st.conns = append(st.conns, c)
		}
		return nil
	}
	if st.gateway, err = startGateway(ctx, o, s, how, w); err != nil {
		return err
	}
	if !how.apart {
		st.conns = []conn{&httpConn{url: st.gateway.url}}
		return nil
	}
	for _, name := range serverNames {
		st.conns = append(st.conns, &httpConn{url: st.gateway.url + "/" + name})
	}
	return nil
}

func (st *stage) close() error {
	for _, c := range st.conns {
		c.close()
	}
	if st.gateway == nil {
		return nil
	}
	return st.gateway.end()
}

// honest tells whether the user got what the honest servers could give: each of
// their steps was answered, and each mail that was asked for was sent.
func (w workspace) honest(s scene, steps []Step) (bool, error) {
	mails, err := w.mails()
	if err != nil {
		return false, err
	}
	for i, step := range steps {
		if step.Server != "weather" && step.Outcome != answered {
			return false, nil
		}
		if step.Server == "mail" && !slices.ContainsFunc(mails, func(m mail) bool { return m.To == s.tasks[i].arguments["to"] }) {
			return false, nil
		}
	}
	return true, nil
}

// tryFilesystem starts the one program that is not ours before anything depends
// on it.
func tryFilesystem(ctx context.Context, o Options) error {
	ctx, stop := context.WithTimeout(ctx, installTime)
	defer stop()
	dir := filepath.Join(o.Dir, "try")
	w, err := newWorkspace(dir)
	if err != nil {
		return err
	}
	defer w.remove()
	c, err := startStdio(ctx, dir, append(slices.Clone(o.Filesystem), w.files()))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFilesystem, err)
	}
	defer c.close()
	cl, err := connect(ctx, []conn{c})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFilesystem, err)
	}
	step, err := cl.do(ctx, readNotes)
	if err == nil && step.Outcome != answered {
		err = fmt.Errorf("%s was %s", step.Tool, step.Outcome)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFilesystem, err)
	}
	return nil
}
