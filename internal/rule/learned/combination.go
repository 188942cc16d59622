package learned

// Written by tools/train/combine.py: fitted to scores of texts whose family neither tier had seen (docs/model-encoder.md).
var (
	resultCombination     = combination{gate: -1.571, first: 1, second: 0.2, limits: limits{soft: -1.076, hard: -0.387}}
	definitionCombination = combination{gate: -0.855, first: 1, second: 0.2, limits: limits{soft: -0.804, hard: 0.672}}
)
