package learned

// Written by tools/train/combine.py: fitted to scores of texts whose family neither tier had seen (docs/model-encoder.md).
var (
	resultCombination     = combination{gate: -2.028, first: 1, second: 0.2, limits: limits{soft: -0.144, hard: 0.955}}
	definitionCombination = combination{gate: -1.320, first: 1, second: 0.2, limits: limits{soft: -0.281, hard: 1.004}}
)
