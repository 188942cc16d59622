package container

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/profile"
	"gatehouse/internal/sandbox"
)

// Line is the command that runs a server in a container as its profile says, for the
// configuration of a client that starts it without Gatehouse: the engine's name and
// its arguments. Variables of the profile are named in it; their values come from the
// environment of the command. What such a line cannot hold is an error.
func Line(p profile.Profile, args []string) ([]string, error) {
	if err := p.CheckRuntime(); err != nil {
		return nil, err
	}
	switch {
	case !p.InContainer():
		return nil, errors.New("a line is for Docker or Podman")
	case len(p.Network) > 0:
		return nil, fmt.Errorf("%w: network: an engine cannot tell the places in the profile from others; start the server by Gatehouse", sandbox.ErrNotEnforced)
	case p.Limits.Time > 0:
		return nil, fmt.Errorf("%w: time: nobody would end it; start the server by Gatehouse", sandbox.ErrNotEnforced)
	case len(p.SecretFiles) > 0:
		return nil, fmt.Errorf("%w: secret_files: nobody would put them there; start the server by Gatehouse", sandbox.ErrNotEnforced)
	}
	grants, err := grantsOf(p)
	if err != nil {
		return nil, err
	}
	o := newOptions(p, grants)
	o.engine = p.Runtime
	o.settings = []string{"HOME=" + o.home(p), "TMPDIR=" + temporary}
	o.names = p.Environment
	if o.engine == profile.Podman { // what else an image declares is in memory, too
		return slices.Concat([]string{o.engine, "run"}, o.flags(), []string{"--image-volume", "ignore", p.Image}, args), nil
	}
	return slices.Concat([]string{o.engine, "run"}, o.flags(), []string{p.Image}, args), nil
}

// plainWord is a word that no shell reads as anything else.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// Quoted is a command as a POSIX shell reads it.
func Quoted(words []string) string {
	var out []string
	for _, word := range words {
		if !plainWord.MatchString(word) {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		out = append(out, word)
	}
	return strings.Join(out, " ")
}
