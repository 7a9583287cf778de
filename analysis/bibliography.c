#include "analysis/bibliography.h"

#include <string.h>

const bib_entry bibliography[] = {
    {.key = "abnar2020", .type = "inproceedings", .year = "2020",
     .author = "Samira Abnar and Willem Zuidema",
     .title = "Quantifying Attention Flow in Transformers",
     .venue = "Annual Meeting of the Association for Computational Linguistics", .eprint = "2005.00928"},
    {.key = "ainslie2023gqa", .type = "inproceedings", .year = "2023",
     .author = "Joshua Ainslie and James Lee-Thorp and Michiel de Jong and Yury Zemlyanskiy and Federico Lebrón "
               "and Sumit Sanghai",
     .title = "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints",
     .venue = "Conference on Empirical Methods in Natural Language Processing", .eprint = "2305.13245"},
    {.key = "an2025outliers", .type = "inproceedings", .year = "2025",
     .author = "Yongqi An and Xu Zhao and Tao Yu and Ming Tang and Jinqiao Wang",
     .title = "Systematic Outliers in Large Language Models",
     .venue = "International Conference on Learning Representations", .eprint = "2502.06415"},
    {.key = "arora2023zoology", .type = "misc", .year = "2023",
     .author = "Simran Arora and Sabri Eyuboglu and Aman Timalsina and Isys Johnson and Michael Poli and James "
               "Zou and Atri Rudra and Christopher Ré",
     .title = "Zoology: Measuring and Improving Recall in Efficient Language Models",
     .eprint = "2312.04927"},
    {.key = "attnscope", .type = "misc", .year = "2026",
     .author = "{The attnscope authors}",
     .title = "attnscope: see what a transformer's attention heads do"},
    {.key = "ba2016layernorm", .type = "misc", .year = "2016",
     .author = "Jimmy Lei Ba and Jamie Ryan Kiros and Geoffrey E. Hinton",
     .title = "Layer Normalization",
     .eprint = "1607.06450"},
    {.key = "beltagy2020longformer", .type = "misc", .year = "2020",
     .author = "Iz Beltagy and Matthew E. Peters and Arman Cohan",
     .title = "Longformer: The Long-Document Transformer",
     .eprint = "2004.05150"},
    {.key = "chan2022scrubbing", .type = "misc", .year = "2022",
     .author = "Lawrence Chan and Adrià Garriga-Alonso and Nicholas Goldowsky-Dill and Ryan Greenblatt and Jenny "
               "Nitishinskaya and Ansh Radhakrishnan and Buck Shlegeris and Nate Thomas",
     .title = "Causal Scrubbing: a method for rigorously testing interpretability hypotheses",
     .venue = "AI Alignment Forum",
     .url = "https://www.alignmentforum.org/posts/JvZhhzycHu2Yd57RN/causal-scrubbing-a-method-for-rigorously-testing"},
    {.key = "clark2019", .type = "inproceedings", .year = "2019",
     .author = "Kevin Clark and Urvashi Khandelwal and Omer Levy and Christopher D. Manning",
     .title = "What Does BERT Look At? An Analysis of BERT's Attention",
     .venue = "Proceedings of the 2019 ACL Workshop BlackboxNLP: Analyzing and Interpreting Neural Networks for NLP",
     .eprint = "1906.04341"},
    {.key = "dao2022flash", .type = "inproceedings", .year = "2022",
     .author = "Tri Dao and Daniel Y. Fu and Stefano Ermon and Atri Rudra and Christopher Ré",
     .title = "FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness",
     .venue = "Advances in Neural Information Processing Systems", .eprint = "2205.14135"},
    {.key = "deepseek2024v2", .type = "misc", .year = "2024",
     .author = "{DeepSeek-AI}",
     .title = "DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Language Model",
     .eprint = "2405.04434"},
    {.key = "dosovitskiy2021", .type = "inproceedings", .year = "2021",
     .author = "Alexey Dosovitskiy and Lucas Beyer and Alexander Kolesnikov and Dirk Weissenborn and Xiaohua "
               "Zhai and Thomas Unterthiner and Mostafa Dehghani and Matthias Minderer and Georg Heigold and "
               "Sylvain Gelly and Jakob Uszkoreit and Neil Houlsby",
     .title = "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
     .venue = "International Conference on Learning Representations", .eprint = "2010.11929"},
    {.key = "efron1979", .type = "article", .year = "1979",
     .author = "Bradley Efron",
     .title = "Bootstrap Methods: Another Look at the Jackknife",
     .venue = "The Annals of Statistics", .volume = "7", .number = "1", .pages = "1--26"},
    {.key = "elhage2021", .type = "article", .year = "2021",
     .author = "Nelson Elhage and Neel Nanda and Catherine Olsson and Tom Henighan and Nicholas Joseph and Ben "
               "Mann and Amanda Askell and Yuntao Bai and Anna Chen and Tom Conerly and others",
     .title = "A Mathematical Framework for Transformer Circuits",
     .venue = "Transformer Circuits Thread", .url = "https://transformer-circuits.pub/2021/framework/index.html"},
    {.key = "geiger2021", .type = "inproceedings", .year = "2021",
     .author = "Atticus Geiger and Hanson Lu and Thomas Icard and Christopher Potts",
     .title = "Causal Abstractions of Neural Networks",
     .venue = "Advances in Neural Information Processing Systems", .eprint = "2106.02997"},
    {.key = "gemma2024", .type = "misc", .year = "2024",
     .author = "{Gemma Team}",
     .title = "Gemma 2: Improving Open Language Models at a Practical Size",
     .eprint = "2408.00118"},
    {.key = "goldowskydill2023", .type = "misc", .year = "2023",
     .author = "Nicholas Goldowsky-Dill and Chris MacLeod and Lucas Sato and Aryaman Arora",
     .title = "Localizing Model Behavior with Path Patching",
     .eprint = "2304.05969"},
    {.key = "gu2025sink", .type = "inproceedings", .year = "2025",
     .author = "Xiangming Gu and Tianyu Pang and Chao Du and Qian Liu and Fengzhuo Zhang and Cunxiao Du and Ye "
               "Wang and Min Lin",
     .title = "When Attention Sink Emerges in Language Models: An Empirical View",
     .venue = "International Conference on Learning Representations", .eprint = "2410.10781"},
    {.key = "guo2023tapadl", .type = "inproceedings", .year = "2023",
     .author = "Yong Guo and David Stutz and Bernt Schiele",
     .title = "Robustifying Token Attention for Vision Transformers",
     .venue = "IEEE/CVF International Conference on Computer Vision", .eprint = "2303.11126"},
    {.key = "guo2024dormant", .type = "misc", .year = "2024",
     .author = "Tianyu Guo and Druv Pai and Yu Bai and Jiantao Jiao and Michael I. Jordan and Song Mei",
     .title = "Active-Dormant Attention Heads: Mechanistically Demystifying Extreme-Token Phenomena in LLMs",
     .eprint = "2410.13835"},
    {.key = "han2025zerotuning", .type = "misc", .year = "2025",
     .author = "Feijiang Han and Xiaodong Yu and Jianheng Tang and Delip Rao and Weihua Du and Lyle Ungar",
     .title = "ZeroTuning: Unlocking the Initial Token's Power to Enhance Large Language Models Without Training",
     .eprint = "2505.11739"},
    {.key = "he2024drop", .type = "misc", .year = "2024",
     .author = "Shwai He and Guoheng Sun and Zheyu Shen and Ang Li",
     .title = "What Matters in Transformers? Not All Attention is Needed",
     .eprint = "2406.15786"},
    {.key = "he2025vhd", .type = "inproceedings", .year = "2025",
     .author = "Jinghan He and Kuan Zhu and Haiyun Guo and Junfeng Fang and Zhenglin Hua and Yuheng Jia and Ming "
               "Tang and Tat-Seng Chua and Jinqiao Wang",
     .title = "Cracking the Code of Hallucination in LVLMs with Vision-aware Head Divergence",
     .venue = "Annual Meeting of the Association for Computational Linguistics", .eprint = "2412.13949"},
    {.key = "hill1973", .type = "article", .year = "1973",
     .author = "M. O. Hill",
     .title = "Diversity and Evenness: A Unifying Notation and Its Consequences",
     .venue = "Ecology", .volume = "54", .number = "2", .pages = "427--432"},
    {.key = "hua2025influence", .type = "misc", .year = "2025",
     .author = "Kai Hua and Steven Wu and Ge Zhang and Ke Shen",
     .title = "AttentionInfluence: Adopting Attention Head Influence for Weak-to-Strong Pretraining Data "
              "Selection",
     .eprint = "2505.07293"},
    {.key = "jain2019", .type = "inproceedings", .year = "2019",
     .author = "Sarthak Jain and Byron C. Wallace",
     .title = "Attention is not Explanation",
     .venue = "Conference of the North American Chapter of the Association for Computational Linguistics",
     .eprint = "1902.10186"},
    {.key = "jiang2024minference", .type = "inproceedings", .year = "2024",
     .author = "Huiqiang Jiang and Yucheng Li and Chengruidong Zhang and Qianhui Wu and Xufang Luo and Surin Ahn "
               "and Zhenhua Han and Amir H. Abdi and Dongsheng Li and Chin-Yew Lin and Yuqing Yang and Lili Qiu",
     .title = "MInference 1.0: Accelerating Pre-filling for Long-Context LLMs via Dynamic Sparse Attention",
     .venue = "Advances in Neural Information Processing Systems", .eprint = "2407.02490"},
    {.key = "kamradt2023needle", .type = "misc", .year = "2023",
     .author = "Greg Kamradt",
     .title = "Needle In A Haystack - Pressure Testing LLMs",
     .url = "https://github.com/gkamradt/LLMTest_NeedleInAHaystack"},
    {.key = "kang2025visual", .type = "inproceedings", .year = "2025",
     .author = "Seil Kang and Jinyeong Kim and Junhyeok Kim and Seong Jae Hwang",
     .title = "See What You Are Told: Visual Attention Sink in Large Multimodal Models",
     .venue = "International Conference on Learning Representations", .eprint = "2503.03321"},
    {.key = "kobayashi2020", .type = "inproceedings", .year = "2020",
     .author = "Goro Kobayashi and Tatsuki Kuribayashi and Sho Yokoi and Kentaro Inui",
     .title = "Attention is Not Only a Weight: Analyzing Transformers with Vector Norms",
     .venue = "Conference on Empirical Methods in Natural Language Processing", .eprint = "2004.10102"},
    {.key = "lai2025flexprefill", .type = "inproceedings", .year = "2025",
     .author = "Xunhao Lai and Jianqiao Lu and Yao Luo and Yiyuan Ma and Xun Zhou",
     .title = "FlexPrefill: A Context-Aware Sparse Attention Mechanism for Efficient Long-Sequence Inference",
     .venue = "International Conference on Learning Representations", .eprint = "2502.20766"},
    {.key = "lin1991", .type = "article", .year = "1991",
     .author = "Jianhua Lin",
     .title = "Divergence Measures Based on the Shannon Entropy",
     .venue = "IEEE Transactions on Information Theory", .volume = "37", .number = "1", .pages = "145--151"},
    {.key = "meng2022rome", .type = "inproceedings", .year = "2022",
     .author = "Kevin Meng and David Bau and Alex Andonian and Yonatan Belinkov",
     .title = "Locating and Editing Factual Associations in GPT",
     .venue = "Advances in Neural Information Processing Systems", .eprint = "2202.05262"},
    {.key = "merullo2024", .type = "inproceedings", .year = "2024",
     .author = "Jack Merullo and Carsten Eickhoff and Ellie Pavlick",
     .title = "Circuit Component Reuse Across Tasks in Transformer Language Models",
     .venue = "International Conference on Learning Representations", .eprint = "2310.08744"},
    {.key = "michel2019", .type = "inproceedings", .year = "2019",
     .author = "Paul Michel and Omer Levy and Graham Neubig",
     .title = "Are Sixteen Heads Really Better than One?",
     .venue = "Advances in Neural Information Processing Systems", .eprint = "1905.10650"},
    {.key = "milakov2018", .type = "misc", .year = "2018",
     .author = "Maxim Milakov and Natalia Gimelshein",
     .title = "Online Normalizer Calculation for Softmax",
     .eprint = "1805.02867"},
    {.key = "miller2023", .type = "misc", .year = "2023",
     .author = "Evan Miller",
     .title = "Attention Is Off By One",
     .url = "https://www.evanmiller.org/attention-is-off-by-one.html"},
    {.key = "nostalgebraist2020", .type = "misc", .year = "2020",
     .author = "nostalgebraist",
     .title = "interpreting GPT: the logit lens",
     .venue = "LessWrong",
     .url = "https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru/interpreting-gpt-the-logit-lens"},
    {.key = "olsson2022", .type = "article", .year = "2022",
     .author = "Catherine Olsson and Nelson Elhage and Neel Nanda and Nicholas Joseph and Nova DasSarma and Tom "
               "Henighan and Ben Mann and Amanda Askell and Yuntao Bai and Anna Chen and others",
     .title = "In-context Learning and Induction Heads",
     .venue = "Transformer Circuits Thread", .eprint = "2209.11895",
     .url = "https://transformer-circuits.pub/2022/in-context-learning-and-induction-heads/index.html"},
    {.key = "openai2025gptoss", .type = "misc", .year = "2025",
     .author = "{OpenAI}",
     .title = "gpt-oss-120b & gpt-oss-20b Model Card",
     .eprint = "2508.10925"},
    {.key = "press2022alibi", .type = "inproceedings", .year = "2022",
     .author = "Ofir Press and Noah A. Smith and Mike Lewis",
     .title = "Train Short, Test Long: Attention with Linear Biases Enables Input Length Extrapolation",
     .venue = "International Conference on Learning Representations", .eprint = "2108.12409"},
    {.key = "qiu2025gated", .type = "misc", .year = "2025",
     .author = "Zihan Qiu and Zekun Wang and Bo Zheng and Zeyu Huang and Kaiyue Wen and Songlin Yang and Rui Men "
               "and Le Yu and Fei Huang and Suozhi Huang and Dayiheng Liu and Jingren Zhou and Junyang Lin",
     .title = "Gated Attention for Large Language Models: Non-linearity, Sparsity, and Attention-Sink-Free",
     .eprint = "2505.06708"},
    {.key = "rajabzadeh2024echoatt", .type = "inproceedings", .year = "2024",
     .author = "Hossein Rajabzadeh and Aref Jafari and Aman Sharma and Benyamin Jami and Hyock Ju Kwon and Ali "
               "Ghodsi and Boxing Chen and Mehdi Rezagholizadeh",
     .title = "EchoAtt: Attend, Copy, then Adjust for More Efficient Large Language Models",
     .venue = "Proceedings of The 4th NeurIPS Efficient Natural Language and Speech Processing Workshop, PMLR",
     .volume = "262", .pages = "259--269", .eprint = "2409.14595"},
    {.key = "roy2007", .type = "inproceedings", .year = "2007",
     .author = "Olivier Roy and Martin Vetterli",
     .title = "The Effective Rank: A Measure of Effective Dimensionality",
     .venue = "European Signal Processing Conference", .pages = "606--610"},
    {.key = "rudelson2007", .type = "article", .year = "2007",
     .author = "Mark Rudelson and Roman Vershynin",
     .title = "Sampling from Large Matrices: An Approach through Geometric Functional Analysis",
     .venue = "Journal of the ACM", .volume = "54", .number = "4", .pages = "21"},
    {.key = "shazeer2019mqa", .type = "misc", .year = "2019",
     .author = "Noam Shazeer",
     .title = "Fast Transformer Decoding: One Write-Head is All You Need",
     .eprint = "1911.02150"},
    {.key = "su2021rope", .type = "misc", .year = "2021",
     .author = "Jianlin Su and Yu Lu and Shengfeng Pan and Ahmed Murtadha and Bo Wen and Yunfeng Liu",
     .title = "RoFormer: Enhanced Transformer with Rotary Position Embedding",
     .eprint = "2104.09864"},
    {.key = "sun2024massive", .type = "inproceedings", .year = "2024",
     .author = "Mingjie Sun and Xinlei Chen and J. Zico Kolter and Zhuang Liu",
     .title = "Massive Activations in Large Language Models",
     .venue = "Conference on Language Modeling", .eprint = "2402.17762"},
    {.key = "transformerlens", .type = "misc", .year = "2022",
     .author = "Neel Nanda and Joseph Bloom",
     .title = "TransformerLens",
     .url = "https://github.com/TransformerLensOrg/TransformerLens"},
    {.key = "vaswani2017", .type = "inproceedings", .year = "2017",
     .author = "Ashish Vaswani and Noam Shazeer and Niki Parmar and Jakob Uszkoreit and Llion Jones and Aidan N. "
               "Gomez and Łukasz Kaiser and Illia Polosukhin",
     .title = "Attention Is All You Need",
     .venue = "Advances in Neural Information Processing Systems", .eprint = "1706.03762"},
    {.key = "wang2023ioi", .type = "inproceedings", .year = "2023",
     .author = "Kevin Wang and Alexandre Variengien and Arthur Conmy and Buck Shlegeris and Jacob Steinhardt",
     .title = "Interpretability in the Wild: a Circuit for Indirect Object Identification in GPT-2 Small",
     .venue = "International Conference on Learning Representations", .eprint = "2211.00593"},
    {.key = "wu2024retrieval", .type = "misc", .year = "2024",
     .author = "Wenhao Wu and Yizhong Wang and Guangxuan Xiao and Hao Peng and Yao Fu",
     .title = "Retrieval Head Mechanistically Explains Long-Context Factuality",
     .eprint = "2404.15574"},
    {.key = "xiao2024streaming", .type = "inproceedings", .year = "2024",
     .author = "Guangxuan Xiao and Yuandong Tian and Beidi Chen and Song Han and Mike Lewis",
     .title = "Efficient Streaming Language Models with Attention Sinks",
     .venue = "International Conference on Learning Representations", .eprint = "2309.17453"},
    {.key = "xue2025deconstructing", .type = "misc", .year = "2025",
     .author = "Huiyin Xue and Nafise Sadat Moosavi and Nikolaos Aletras",
     .title = "Deconstructing Attention: Investigating Design Principles for Effective Language Modeling",
     .eprint = "2510.11602"},
    {.key = "yu2024act", .type = "inproceedings", .year = "2024",
     .author = "Zhongzhi Yu and Zheng Wang and Yonggan Fu and Huihong Shi and Khalid Shaikh and Yingyan Celine "
               "Lin",
     .title = "Unveiling and Harnessing Hidden Attention Sinks: Enhancing Large Language Models without Training "
              "through Attention Calibration",
     .venue = "International Conference on Machine Learning", .eprint = "2406.15765"},
    {.key = "zhai2023", .type = "inproceedings", .year = "2023",
     .author = "Shuangfei Zhai and Tatiana Likhomanenko and Etai Littwin and Dan Busbridge and Jason Ramapuram "
               "and Yizhe Zhang and Jiatao Gu and Josh Susskind",
     .title = "Stabilizing Transformer Training by Preventing Attention Entropy Collapse",
     .venue = "International Conference on Machine Learning", .eprint = "2303.06296"},
    {.key = "zhang2019rmsnorm", .type = "inproceedings", .year = "2019",
     .author = "Biao Zhang and Rico Sennrich",
     .title = "Root Mean Square Layer Normalization",
     .venue = "Advances in Neural Information Processing Systems", .eprint = "1910.07467"},
    {.key = "zhang2023h2o", .type = "inproceedings", .year = "2023",
     .author = "Zhenyu Zhang and Ying Sheng and Tianyi Zhou and Tianlong Chen and Lianmin Zheng and Ruisi Cai "
               "and Zhao Song and Yuandong Tian and Christopher Ré and Clark Barrett and Zhangyang Wang and "
               "Beidi Chen",
     .title = "H2O: Heavy-Hitter Oracle for Efficient Generative Inference of Large Language Models",
     .venue = "Advances in Neural Information Processing Systems", .eprint = "2306.14048"},
    {.key = "zhang2024hedgehog", .type = "inproceedings", .year = "2024",
     .author = "Michael Zhang and Kush Bhatia and Hermann Kumbong and Christopher Ré",
     .title = "The Hedgehog & the Porcupine: Expressive Linear Attentions with Softmax Mimicry",
     .venue = "International Conference on Learning Representations", .eprint = "2402.04347"},
    {.key = "zhang2024patching", .type = "inproceedings", .year = "2024",
     .author = "Fred Zhang and Neel Nanda",
     .title = "Towards Best Practices of Activation Patching in Language Models: Metrics and Methods",
     .venue = "International Conference on Learning Representations", .eprint = "2309.16042"},
    {.key = NULL},
};

const bib_entry *bib_find(const char *key, size_t n)
{
    for (const bib_entry *x = bibliography; x->key; x++) {
        if (strlen(x->key) == n && !memcmp(x->key, key, n))
            return x;
    }
    return NULL;
}

bool bib_next(const char **list, const char **key, size_t *n)
{
    if (!*list || !**list)
        return false;
    *key = *list;
    *n = strcspn(*list, ",");
    *list += *n + ((*list)[*n] == ',');
    return true;
}

/* The signs that TeX reads as its own. */
static void put_tex(strbuf *b, const char *s)
{
    for (; *s; s++) {
        if (strchr("&%#_$", *s))
            strbuf_putc(b, '\\');
        strbuf_putc(b, *s);
    }
}

static void put_field(strbuf *b, const char *name, const char *value, const char *open, const char *close, bool plain)
{
    if (!value)
        return;
    strbuf_printf(b, ",\n  %-13s = %s", name, open);
    if (plain)
        strbuf_puts(b, value);
    else
        put_tex(b, value);
    strbuf_puts(b, close);
}

void bib_put_bibtex(strbuf *b, const bib_entry *x)
{
    const char *venue = !strcmp(x->type, "article") ? "journal" : !strcmp(x->type, "misc") ? "howpublished" : "booktitle";
    strbuf_printf(b, "@%s{%s", x->type, x->key);
    put_field(b, "author", x->author, "{", "}", false);
    put_field(b, "title", x->title, "{{", "}}", false); /* twice: capitals stay */
    put_field(b, venue, x->venue, "{", "}", false);
    put_field(b, "volume", x->volume, "{", "}", false);
    put_field(b, "number", x->number, "{", "}", false);
    put_field(b, "pages", x->pages, "{", "}", false);
    put_field(b, "year", x->year, "{", "}", false);
    put_field(b, "eprint", x->eprint, "{", "}", false);
    put_field(b, "archiveprefix", x->eprint ? "arXiv" : NULL, "{", "}", false);
    put_field(b, "url", x->url, "{", "}", true);
    strbuf_puts(b, "\n}\n");
}

/* "Gu et al.", "Roy and Vetterli", "OpenAI": the last word of each name. */
static void put_authors(strbuf *b, const char *author)
{
    int n = 0;
    for (const char *at = author; at; n++) {
        const char *end = strstr(at, " and ");
        size_t len = end ? (size_t)(end - at) : strlen(at);
        const char *from = at;
        if (*at == '{' && len > 2) {
            from++;
            len -= 2;
        } else {
            for (size_t i = 0; i < len; i++)
                if (at[i] == ' ')
                    from = at + i + 1;
            len -= (size_t)(from - at);
        }
        const char *rest = end ? strstr(end + 5, " and ") : NULL;
        if (n == 0 && (!end || rest)) {
            strbuf_add(b, from, len);
            strbuf_puts(b, end ? " et al." : "");
            return;
        }
        if (n)
            strbuf_puts(b, " and ");
        strbuf_add(b, from, len);
        at = end ? end + 5 : NULL;
    }
}

void bib_put_text(strbuf *b, const bib_entry *x)
{
    put_authors(b, x->author);
    strbuf_printf(b, " %s, %s", x->year, x->title);
    if (x->venue)
        strbuf_printf(b, ", %s", x->venue);
    if (x->volume)
        strbuf_printf(b, " %s", x->volume);
    if (x->eprint)
        strbuf_printf(b, ", arXiv %s", x->eprint);
    else if (x->url)
        strbuf_printf(b, ", %s", x->url);
}
