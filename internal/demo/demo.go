// Package demo plays attacks on MCP clients, first without Gatehouse and then
// through it, and says what really happened. The client always obeys whatever it
// reads, the file server is a real one, and the verdicts come from the files of
// the attacker and from the audit log. Nothing in here knows the outcome.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Options say with what the demo is played.
type Options struct {
	Gatehouse  string   // path of the gatehouse program
	Filesystem []string // command of server-filesystem, to which the folder is added
	Dir        string   // empty or absent folder in which everything is played
	// Progress is called when a part has been played: how many of all. It may be
	// nil, and is called by one goroutine at a time.
	Progress func(played, all int)
}

// Report is what happened.
type Report struct {
	Schema int     `json:"schema"` // 1
	OK     bool    `json:"ok"`     // every attack succeeded without and failed with Gatehouse
	Scenes []Scene `json:"scenes"`
}

// Scene is one attack, played three times: without Gatehouse, with it, and with
// it while the rules that read wording only report.
type Scene struct {
	Name            string `json:"name"`
	Title           string `json:"title"`
	Without         Result `json:"without"`
	With            Result `json:"with"`
	WordingReported Result `json:"wordingReported"`
}

// ok tells whether the scene showed what it is for.
func (s Scene) ok() bool {
	return s.Without.Stolen != "" && s.With.Stolen == "" && s.With.Honest
}

// Result is what came of a scene.
type Result struct {
	Stolen string `json:"stolen,omitempty"` // what the attacker holds and how it got there; empty when nothing
	Honest bool   `json:"honest"`           // the work with the honest servers was done
	Steps  []Step `json:"steps"`            // what the user asked for
	// Log is what the audit log says; without Gatehouse there is none. Records counts
	// all of its records, whose chain was verified.
	Log     []Entry `json:"log,omitempty"`
	Records int     `json:"records,omitempty"`
}

// Step is one call that the user asked for.
type Step struct {
	Server string `json:"server"`
	Tool   string `json:"tool"`
	// Outcome is "answered", "refused" or "not offered", when the client was shown
	// no such tool.
	Outcome string `json:"outcome"`
}

// Values of Step.Outcome.
const (
	answered   = "answered"
	refused    = "refused"
	notOffered = "not offered"
)

// ErrFilesystem says that the real file server could not be used.
var ErrFilesystem = errors.New("server-filesystem does not work")

// atOnce bounds the parts that are played at the same time. Each is a handful of
// processes.
const atOnce = 4

// Run plays all scenes. An error means that something could not be played, never
// that an attack succeeded.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := prepare(o.Dir); err != nil {
		return nil, err
	}
	if err := tryFilesystem(ctx, o); err != nil {
		return nil, err
	}
	report := &Report{Schema: 1, OK: true, Scenes: make([]Scene, len(scenes))}
	var jobs []job
	for i, s := range scenes {
		out := &report.Scenes[i]
		out.Name, out.Title = s.name, s.title
		dir := filepath.Join(o.Dir, s.name)
		jobs = append(jobs,
			job{s, setting{dir: filepath.Join(dir, "without")}, &out.Without},
			job{s, setting{dir: filepath.Join(dir, "with"), gateway: true}, &out.With},
			job{s, setting{dir: filepath.Join(dir, "with-wording-reported"), gateway: true, reporting: wordingRules}, &out.WordingReported})
	}
	if err := playAll(ctx, o, jobs); err != nil {
		return nil, err
	}
	for _, s := range report.Scenes {
		report.OK = report.OK && s.ok()
	}
	return report, nil
}

// wordingRules judge how a text is worded, which an attacker can change at will.
// What holds without them does not depend on recognising an attack by its words.
var wordingRules = []string{
	"hidden-text", "injected-instructions", "tool-poisoning", "tool-shadowing", "concealment", "credential-harvest", "memory-poisoning", "fake-markup",
	"data-beacon", "question-abuse", "exhaustion-loop", "context-flooding", "likely-injection",
}

// prepare makes the folder, or refuses one that holds something already.
func prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty; name a new folder", dir)
	}
	return err
}

type job struct {
	scene   scene
	setting setting
	result  *Result
}

// playAll plays the jobs, some at a time, and ends all when one cannot be played.
func playAll(ctx context.Context, o Options, jobs []job) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var (
		all    sync.WaitGroup
		mu     sync.Mutex
		played int
	)
	slots := make(chan struct{}, atOnce)
	for _, j := range jobs {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if ctx.Err() != nil {
				return
			}
			result, err := play(ctx, o, j.scene, j.setting)
			if err != nil {
				stop(fmt.Errorf("playing %s in %s: %w", j.scene.name, filepath.Base(j.setting.dir), err))
				return
			}
			*j.result = result
			mu.Lock()
			defer mu.Unlock()
			played++
			if o.Progress != nil {
				o.Progress(played, len(jobs))
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
