package profile

import (
	"fmt"
	"slices"
)

// Preset is a profile to begin with. Each stands in a file of its own.
type Preset struct {
	Name    string
	Doc     string // for whom it is and what it leaves to be said
	Profile Profile
}

// Presets lists them by name.
func Presets() []Preset {
	return []Preset{browser, database, node, offlineFiles, python, webReader}
}

// PresetNames are the names of the presets, sorted.
func PresetNames() []string {
	var names []string
	for _, p := range Presets() {
		names = append(names, p.Name)
	}
	return names
}

// FromPreset is the profile of that name; "" is the one that allows nothing.
func FromPreset(name string) (Profile, error) {
	if name == "" {
		return Profile{Limits: DefaultLimits()}, nil
	}
	all := Presets()
	i := slices.IndexFunc(all, func(p Preset) bool { return p.Name == name })
	if i < 0 {
		return Profile{}, fmt.Errorf("there is no preset %q", name)
	}
	p := Profile{Preset: name, Limits: DefaultLimits()}.With(all[i].Profile)
	return p, nil
}
