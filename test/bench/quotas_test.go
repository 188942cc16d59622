package main

import (
	"testing"
)

// How many calls are made is fixed and not how long that takes, so that as many pass on
// every machine.
func TestQuotas_hold_under_load_and_across_restarts(t *testing.T) {
	const attempts = userCount * programs * 50 // each program tries each tool once
	l := newLoad(t.TempDir(), 1, "6/d", 0, func(n int64) float64 { return float64(n) / attempts })
	f := &field{dir: t.TempDir()}
	if err := f.build(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.binary = f.binary
	if err := l.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := l.tallies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.check(all); err != nil {
		t.Errorf("%v\n%+v", err, all)
	}
	if l.refused.Load() == 0 || l.broken.Load() == attempts {
		t.Errorf("%d calls were refused and %d broke of %d", l.refused.Load(), l.broken.Load(), attempts)
	}
}

// The check itself: whatever is lost, doubled or let through shows.
func TestLoad_check(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*load, []tally)
		fails  bool
	}{
		"right":                {func(*load, []tally) {}, false},
		"counted too few":      {func(_ *load, all []tally) { all[0].counted-- }, true},
		"counted too many":     {func(_ *load, all []tally) { all[0].counted++ }, true},
		"passed uncounted":     {func(_ *load, all []tally) { all[0].arrived++ }, true},
		"lost with a cause":    {func(l *load, all []tally) { all[0].arrived--; l.broken.Add(1) }, false},
		"lost without a cause": {func(_ *load, all []tally) { all[0].arrived-- }, true},
		"a burst too large":    {func(_ *load, all []tally) { all[1].arrived++ }, true},
		"rate within 1 %":      {func(l *load, all []tally) { l.perSecond = 1; all[1].arrived-- }, false},
		"rate off by 2 %":      {func(l *load, all []tally) { l.perSecond = 1; all[1].arrived -= 2 }, true},
		"a restart left out":   {func(l *load, _ []tally) { l.stage.Store(1) }, true},
	} {
		l := newLoad("", 1, "6/d", 0, nil)
		l.stage.Store(2)
		all := []tally{{name: "user", want: 800, counted: 800, arrived: 800, countedTold: true}, {name: "rate", want: 100, arrived: 100}}
		test.change(l, all)
		if err := l.check(all); (err != nil) != test.fails {
			t.Errorf("%s: %v", name, err)
		}
	}
}
