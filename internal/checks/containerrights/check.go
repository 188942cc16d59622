// Package containerrights finds options of containers that take away what a container
// is for.
package containerrights

import (
	_ "embed"
	"slices"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "container-rights",
	Title:      "A container is given rights over this machine",
	Severity:   rule.High,
	References: []string{"CWE-250: Execution with Unnecessary Privileges", "CWE-653: Improper Isolation or Compartmentalization"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		source := inventory.Of(e)
		if source.Kind != inventory.OCI {
			continue
		}
		add := func(severity rule.Severity, what, why string) {
			r.Findings = append(r.Findings, check.About(s, e).Says(severity, what+": "+why, "leave it out, and give the container the one thing that it needs", s.ID, what))
		}
		for _, w := range inventory.Launching(e) {
			if severity, why := judge(w); severity != rule.Unrated {
				add(severity, strings.TrimSpace(w.Option+" "+shown(w)), why)
			}
		}
		for _, m := range source.Mounts {
			if m.Engine() {
				add(rule.High, "the mount of "+m.Source, "who may speak to the engine of containers starts one that has the whole machine")
			}
		}
	}
	return r
}

// shown is the value of an option that has one.
func shown(w inventory.Word) string {
	if w.Option == "--privileged" {
		return ""
	}
	return w.Value
}

// capabilities that lead out of the container, or nearly.
var strong = []string{"ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "SYS_RAWIO", "DAC_READ_SEARCH", "DAC_OVERRIDE", "BPF", "SYS_BOOT"}

func judge(w inventory.Word) (rule.Severity, string) {
	value := strings.ToLower(w.Value)
	switch w.Option {
	case "--privileged":
		if value != "false" {
			return rule.High, "the container has the rights of root on this machine"
		}
	case "--pid":
		if value == "host" {
			return rule.High, "it sees every program of this machine, with what they were given"
		}
	case "--network", "--net":
		if value == "host" {
			return rule.Medium, "it reaches everything that listens on this machine only"
		}
	case "--ipc", "--uts", "--userns", "--cgroupns":
		if value == "host" {
			return rule.Medium, "it shares that with this machine"
		}
	case "--cap-add":
		if slices.Contains(strong, strings.TrimPrefix(strings.ToUpper(w.Value), "CAP_")) {
			return rule.High, "with this right a program can leave the container"
		}
		return rule.Low, "a right that containers do not have"
	case "--security-opt":
		if strings.Contains(value, "unconfined") || value == "label=disable" || value == "label:disable" || value == "no-new-privileges=false" {
			return rule.Medium, "it switches off a guard around the container"
		}
	case "--device":
		return rule.Medium, "it reaches a device of this machine"
	case "-u", "--user":
		if user, _, _ := strings.Cut(value, ":"); user == "root" || user == "0" {
			return rule.Low, "it runs as root inside the container"
		}
	}
	return rule.Unrated, ""
}
