package wording

import "gatehouse/internal/rule"

// translated are the words that set earlier instructions aside, and that speak to the
// model, in other languages.
var translated = []rule.Phrase{
	foreign("German", []string{"ignorier", "vergiss", "vergesse", "missacht"}, `\b(?:ignorier\w*|vergiss|vergess\w*|missacht\w*)\b`+gap+`\b(?:vorherig|bisherig|obig|all|vorangegangen|vorstehend|vorig|fruher|deine|ihre)\w*`+gap+`\b\w*(?:anweisung|befehl|instruktion|regel|vorgabe|aufgabe|auftrag|richtlinie)`),
	foreign("French", []string{"ignore", "oubli", "ne tenez pas compte", "ne tiens pas compte"}, `\b(?:ignor\w+|oubli\w+|ne t\w+ pas compte)\b`+gap+`\b(?:instruction|consigne|directive|regle|ordre)s?\b`+gap+`\b(?:precedent|anterieur|ci-dessus|initial|avant|recu)\w*|\b(?:ignor\w+|oubli\w+)\b`+gap+`\b(?:toutes?|tous|vos|tes)\b`+gap+`\b(?:instructions|consignes|directives)\b`),
	foreign("Spanish", []string{"ignor", "olvid", "descart", "omit", "haz caso omiso"}, `\b(?:ignor\w+|olvid\w+|descart\w+|omit\w+|haz caso omiso)\b`+gap+`\b(?:instruccion|orden|indicacion|regla|directriz|directric)\w*`+gap+`\b(?:anterior|previ|de arriba|original|inicial)\w*|\b(?:ignor\w+|olvid\w+)\b`+gap+`\b(?:tod[oa]s|tus|sus)\b`+gap+`\b(?:instrucciones|ordenes|indicaciones)\b`),
	foreign("Portuguese", []string{"ignor", "esquec", "desconsider"}, `\b(?:ignor\w+|esquec\w+|desconsider\w+)\b`+gap+`\b(?:instruc|orden|orientac|regra|comando|diretriz)\w*`+gap+`\b(?:anterior|previ|acima|inicia|original)\w*`),
	foreign("Italian", []string{"ignor", "dimentic"}, `\b(?:ignor\w+|dimentic\w+)\b`+gap+`\b(?:istruzion|ordin|regol|direttiv|comand)\w*`+gap+`\b(?:precedent|sopra|iniziali|original)\w*`),
	foreign("Dutch", []string{"negeer", "vergeet"}, `\b(?:negeer|vergeet)\b`+gap+`\b(?:eerdere|vorige|voorgaande|alle|bovenstaande)\b`+gap+`\b(?:instructies|opdrachten|regels|aanwijzingen)`),
	foreign("Polish", []string{"zignoruj", "ignoruj", "zapomnij"}, `\b(?:z?ignoruj|zapomnij)\b`+gap+`\b(?:poprzedni|wczesniejsz|wszystki|powyzsz)\w*`+gap+`\b(?:instrukcj|polecen|zasad)`),
	foreign("Russian", []string{"игнорир", "забуд", "не обращай"}, `(?:игнорир|забуд|не обращай)[^.!?\n]{0,80}?(?:предыдущ|прежн|выше|все|ранее)[^.!?\n]{0,60}?(?:инструкц|указан|команд|правил|задан)`),
	foreign("Turkish", []string{"yok say", "gormezden gel", "unut", "dikkate alma"}, `\b(?:onceki|yukaridaki|tum|bundan once)\w*`+gap+`\b(?:talimat|komut|yonerge|kural)\w*`+gap+`\b(?:yok say|gormezden gel|unut|dikkate alma)`),
	foreign("Indonesian", []string{"abaikan", "lupakan"}, `\b(?:abaikan|lupakan)\b`+gap+`\b(?:instruksi|perintah|petunjuk|arahan)\b`+gap+`\b(?:sebelum|di atas|awal)\w*`),
	foreign("Vietnamese", []string{"bo qua", "quen "}, `\b(?:bo qua|quen)\b[^.!?\n]{0,50}?\b(?:huong dan|chi dan|lenh|chi thi|yeu cau)\b`),
	foreign("Chinese", []string{"忽略", "忘记", "忘記", "无视", "無視", "不要理会", "忽視"}, `(?:忽略|忘记|忘記|无视|無視|不要理会|忽視)[^。!?\n]{0,16}?(?:之前|以上|先前|上面|前面|所有|此前|以前|系统)[^。!?\n]{0,16}?(?:指示|指令|说明|說明|提示|命令|规则|要求|对话)`),
	foreign("Japanese", []string{"無視", "忘れて", "忘れろ"}, `(?:以前|前の|上記|これまで|すべて|全て|先の|先ほど|今まで)[^。!?\n]{0,20}?(?:指示|命令|指令|説明|プロンプト|ルール)[^。!?\n]{0,12}?(?:無視|忘れ)`),
	foreign("Korean", []string{"무시", "잊어", "잊고"}, `(?:이전|앞|위의|모든|기존)[^.!?\n]{0,16}?(?:지시|지침|명령|안내|프롬프트|규칙|설명)[^.!?\n]{0,12}?(?:무시|잊)`),
	foreign("Hindi", []string{"अनदेखा", "नज", "इग्नोर", "भूल", "उपेक्षा", "ध्यान न"}, `(?:पिछल|पूर्व|पहल|उपरोक्त|सभी)[^।!?\n]{0,60}?(?:निर्देश|आदेश|सूचना|अनुदेश)[^।!?\n]{0,40}?(?:अनदेख|नज|इग्नोर|भूल|उपेक्षा|ध्यान न)|इग्नोर[^।!?\n]{0,20}?(?:निर्देश|आदेश|सूचना)`),
	foreign("Bengali", []string{"উপেক্ষা", "ভুলে"}, `(?:পূর্ব|আগের|সব|পূর্ববর্তী)[^।!?\n]{0,50}?(?:নির্দেশ|আদেশ)[^।!?\n]{0,40}?(?:উপেক্ষা|ভুলে)`),
	foreign("Arabic", []string{"تجاهل", "انس"}, `(?:تجاهل|انس)[^.!?؟\n]{0,40}?(?:التعليمات|الأوامر|الاوامر|الإرشادات|التوجيهات)`),
	foreign("Thai", []string{"ละเว้น", "เพิกเฉย", "ไม่สนใจ", "ลืม"}, `(?:ละเว้น|เพิกเฉย|ไม่สนใจ|ลืม)[^\n]{0,60}?(?:คำสั่ง|คำแนะนำ|คําสั่ง|คําแนะนํา)`),
	addressing("German", []string{" ki ", " ki:", " ki-", " ki,", "sprachmodell", "assistent"}, `\b(?:hinweis|nachricht|anweisung|notiz|bitte|info|information|achtung|wichtig)\w* (?:an|fur) (?:\S+ ){0,3}?(?:ki|sprachmodell|assistent)`+foreignEnd),
	addressing("French", []string{" ia ", " ia:", " ia,", "l'ia", "l'assistant", "modele de langage"}, `\b(?:note|message|consigne|instruction|attention|avis)s? (?:a|pour|de) (?:\S+ ){0,3}?(?:\S*')?(?:ia|assistant|modele de langage)`+foreignEnd),
	addressing("Spanish and Portuguese", []string{" ia ", " ia:", " ia,", "asistente", "assistente", "modelo de l"}, `\b(?:notas?|mensaje|mensagem|instruccion|instrucao|aviso|atencion|atencao|nota) (?:para|a|ao) (?:\S+ ){0,3}?(?:ia|asistente|assistente|modelo de (?:lenguaje|linguagem))`+foreignEnd),
	addressing("Chinese", []string{"ai助手", "ai模型", "ai系统", "ai代理", "人工智能", "语言模型"}, `(?:致|告|请)[^。!?\n]{0,8}?(?:处理|阅读|读取|总结|分析)?[^。!?\n]{0,8}?(?:ai(?:助手|模型|系统|代理)|(?:人工智能|语言模型)(?:助手|模型|系统|代理)?)[:,]`),
	addressing("Japanese", []string{"aiへ", "aiアシスタント", "aiモデル", "aiエージェント", "アシスタントへ", "言語モデルへ"}, `(?:ai|アシスタント|言語モデル)(?:アシスタント|モデル|エージェント)?(?:へ|への(?:指示|お知らせ|連絡|注意)|の皆様へ)[:,。\n]`),
	addressing("Russian", []string{"ии", "ассистент", "помощник", "языков"}, `(?:сообщение|инструкция|указание|примечание|внимание|заметка|задание) (?:для )?(?:\S+ ){0,3}?(?:ии|ассистент\S*|помощник\S*|языков\S+ модел\S*)[^.!?\n]{0,40}?[:,]`),
}

// foreignEnd is what follows the name of the model: the end of what it is called, and
// the mark before what it is told.
const foreignEnd = `\S*(?: [^\s.!?]+){0,4}? ?[:,\]]`

func addressing(language string, triggers []string, pattern string) rule.Phrase {
	return rule.Phrase{Kind: "addressed", Detail: "speaks to the model, in " + language, Weight: 2, Triggers: triggers, Pattern: pattern}
}

func foreign(language string, triggers []string, pattern string) rule.Phrase {
	return rule.Phrase{Kind: "override", Detail: "sets earlier instructions aside, in " + language, Weight: 3, Triggers: triggers, Pattern: pattern}
}
