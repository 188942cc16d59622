package learned

// Written by tools/train/combine.py: fitted to scores of texts whose family neither tier had seen (docs/model-encoder.md).
var (
	resultCombination     = combination{gate: -1.983, first: 1, second: 0.2, limits: limits{soft: -0.239, hard: 0.595}}
	definitionCombination = combination{gate: -1.280, first: 1, second: 0.2, limits: limits{soft: -0.267, hard: 1.223}}
)
