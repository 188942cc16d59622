package learned

// Written by tools/train/combine.py: fitted to scores of texts whose family neither tier had seen (docs/model-encoder.md).
var (
	resultCombination     = combination{gate: -1.959, first: 1, second: 0.2, limits: limits{soft: -0.425, hard: 0.379}}
	definitionCombination = combination{gate: -1.454, first: 1, second: 0.2, limits: limits{soft: -0.496, hard: 0.636}}
)
