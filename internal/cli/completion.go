package cli

import (
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/approval"
	"gatehouse/internal/halt"
	"gatehouse/internal/identity"
)

// completed offers words and no file names. What cannot be read offers nothing: a
// shell has no place for an error.
func completed(words []string) ([]cobra.Completion, cobra.ShellCompDirective) {
	slices.Sort(words)
	return slices.Compact(words), cobra.ShellCompDirectiveNoFileComp
}

// completeTargets offers what can be halted: the kinds, then servers, then approved
// tools and prompts.
func (p *placeFlags) completeTargets(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var words []string
	if len(args) == 0 {
		for _, what := range halt.Whats() {
			words = append(words, string(what))
		}
		return completed(words)
	}
	_, c, err := p.find()
	if err != nil || c == nil {
		return completed(nil)
	}
	what := halt.What(args[0])
	switch {
	case len(args) == 1 && slices.Contains([]halt.What{halt.Server, halt.Tool, halt.Prompt, halt.Resource}, what):
		for _, s := range c.Servers {
			words = append(words, s.ID)
		}
	case len(args) == 1 && what == halt.Team:
		for _, team := range c.Teams {
			words = append(words, team.Name)
		}
	case len(args) == 2 && (what == halt.Tool || what == halt.Prompt):
		approved, err := approval.ReadApproved(c.Lock)
		if err != nil {
			return completed(nil)
		}
		for _, item := range approved[args[1]] {
			if item.Kind == approval.Kind(what) {
				words = append(words, item.Name)
			}
		}
	}
	return completed(words)
}

// completeHalted offers what is halted, word by word.
func (p *placeFlags) completeHalted(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	state, _, err := p.find()
	if err != nil {
		return completed(nil)
	}
	list, err := halt.List(filepath.Join(state, haltsName), time.Now())
	if err != nil {
		return completed(nil)
	}
	var words []string
	for _, h := range list {
		path := []string{string(h.What)}
		for _, name := range []string{h.Server, h.Name} {
			if name != "" {
				path = append(path, name)
			}
		}
		if len(path) > len(args) && slices.Equal(path[:len(args)], args) {
			words = append(words, path[len(args)])
		}
	}
	return completed(words)
}

func (p *placeFlags) completeQuotas(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	_, c, err := p.find()
	if err != nil || c == nil || len(args) > 0 {
		return completed(nil)
	}
	var words []string
	for _, q := range c.Quotas {
		words = append(words, q.Name)
	}
	return completed(words)
}

// completeNames offers the names of keys that are good.
func (o *keyOptions) completeNames(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return o.complete(args, func(k identity.Key) []string { return []string{k.Name} })
}

// completeKeys offers their visible parts too.
func (o *keyOptions) completeKeys(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return o.complete(args, func(k identity.Key) []string { return []string{k.Name, k.Shown} })
}

func (o *keyOptions) complete(args []string, of func(identity.Key) []string) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, err := o.load()
	if err != nil || len(args) > 0 {
		return completed(nil)
	}
	keys, err := identity.ReadKeys(c.Identity.Keys)
	if err != nil {
		return completed(nil)
	}
	var words []string
	for _, k := range keys {
		if k.Good(time.Now()) {
			words = append(words, of(k)...)
		}
	}
	return completed(words)
}
