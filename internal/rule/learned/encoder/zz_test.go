package encoder
import ("testing";"os";"encoding/json";"slices";"math")
func Test_zz(t *testing.T){
 b,_:=os.ReadFile("/tmp/enc/rnd.json"); var l []struct{Text string;Pieces []uint16;Logit float64}
 if err:=json.Unmarshal(b,&l);err!=nil{t.Fatal(err)}
 m:=loaded(); s:=new(scratch); var e,v float64; bad:=0
 for _,x:=range l { p:=m.words.encode([]byte(x.Text),nil,maxPieces); if !slices.Equal(p,x.Pieces){bad++; if bad<5 {t.Errorf("%q %v %v",x.Text,p,x.Pieces)}; continue}
  z:=m.logit(s,p); fast=false; z2:=m.logit(s,p); fast=true; if z!=z2 {t.Fatal("fast differs",z,z2)}
  e+=(z-x.Logit)*(z-x.Logit); v+=x.Logit*x.Logit; if len(l)<10||x.Text==l[0].Text||x.Text==l[1].Text {t.Log(z,x.Logit)}}
 t.Log(bad, math.Sqrt(e/float64(len(l))),math.Sqrt(v/float64(len(l))))
}
func Benchmark_zz(b *testing.B){ d,_:=os.ReadFile("/tmp/enc/rnd.json"); var l []struct{Text string;Pieces []uint16;Logit float64}; json.Unmarshal(d,&l)
 for _,x:=range l { if len(x.Pieces)>84&&len(x.Pieces)<90 { b.Log(len(x.Pieces)); Score([]byte(x.Text)); for b.Loop(){ Score([]byte(x.Text))}; return}}}
