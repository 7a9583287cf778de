#!/usr/bin/env python3
"""Writes chat_cases.json beside itself: chat templates with what transformers makes of them.

Templates in the form that well-known models use, and one template for each group of constructs, each with several
lists of messages.  "want" is the rendering, or null where the reference raises an error."""
import json
import os

import transformers.utils.chat_template_utils as reference

T={}
T['chatml']="{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
T['smollm2']="{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
T['llama2']="{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
T['llama3']="{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
T['llama31']='''{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- This block extracts the system message, so we can slot it into the right place. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{#- System message + builtin tools #}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\\n\\n"}}
{%- endif %}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools is not none and not tools_in_user_message %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}

{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
        {{- "<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
'''
T['qwen25']='''{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.' }}
    {%- endif %}
    {{- "\\n\\n# Tools\\n\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\\n<tool_call>\\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- message.content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
'''
T['qwen3']='''{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}'''
T['mistral']="{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
T['mistral_v3']='''{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}

{#- This block checks for alternating user/assistant messages, skipping tool calling messages #}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, conversation roles must alternate user/assistant/user/assistant/...") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}

{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported, with the exception of an initial optional system message!") }}
    {%- endif %}
{%- endfor %}
'''
T['gemma']="{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
T['gemma3']='''{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '

' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '

' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '
' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>
' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model
'}}
{%- endif -%}
'''
T['phi3']="{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
T['zephyr']="{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"
T['deepseek']="{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ 'User: ' + message['content'] + '\n\n' }}{% elif message['role'] == 'assistant' %}{{ 'Assistant: ' + message['content'] + eos_token }}{% elif message['role'] == 'system' %}{{ message['content'] + '\n\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
T['deepseek_r1']="{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<|User|>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is none %}{%- set ns.is_tool = false -%}{%- for tool in message['tool_calls']%}{%- if not ns.is_first %}{{'<|Assistant|><|tool|>' + tool['type'] + tool['function']['name'] + '\\n' + '```json' + '\\n' + tool['function']['arguments'] + '\\n' + '```'}}{%- set ns.is_first = true -%}{%- endif %}{%- endfor %}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is not none %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<|Assistant|>' + content + '<|end|>'}}{%- endif %}{%- endfor -%}{% if add_generation_prompt and not ns.is_tool %}{{'<|Assistant|><think>\\n'}}{% endif %}"
T['olmo']="{{ bos_token }}{% for message in messages %}\n{% if message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] }}\n{% elif message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] }}\n{% elif message['role'] == 'assistant' %}\n{% if not loop.last %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token + '\n' }}\n{% else %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n{% endif %}\n{% endfor %}\n{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
T['generation']="{% for m in messages %}{{ m.role }}: {% generation %}{{ m.content }}{% endgeneration %}\n{% endfor %}"
CONSTRUCTS = [
"{{ 1 + 2 * 3 - 4 // 3 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ -7 // 2 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 1.5 * 2 }} {{ 1e20 }} {{ 3.0 }} {{ 0.1 + 0.2 }} {{ 1e-5 }}",
"{{ 'abc'[1] }} {{ 'abc'[-1] }} {{ 'héllo'[1:3] }} {{ [1,2,3,4,5][::2] }} {{ [1,2,3][::-1] }} {{ 'abcdef'[4:1:-1] }} {{ [1,2,3][5:] }} {{ (1,2,3)[1:] }} {{ 'abc'[:-1] }}",
"{{ [1, 'a', none, true, 2.5, {'k': [1]}] }} {{ {'a': 1, 'b': \"it's\"} }} {{ (1,) }} {{ 'a\\n\\'\"b' }} {{ ['a\\n', \"it's\", 'q\"q', 'both\\'\"', 'back\\\\slash'] }}",
"{{ messages | length }} {{ messages|map(attribute='role')|join(', ') }} {{ messages|selectattr('role','equalto','user')|list|length }} {{ messages|rejectattr('role','eq','user')|map(attribute='content')|list }}",
"{% for i in range(3) %}{{ loop.index }}/{{ loop.length }}{{ ',' if not loop.last }}{% endfor %} {% for a, b in {'x':1,'y':2}.items() %}{{ a }}={{ b }};{% endfor %}{% for k in {'p':1} %}{{k}}{% endfor %}{% for x in [] %}{% else %}empty{% endfor %}",
"{% set ns = namespace(n=0) %}{% for i in range(5) if i % 2 %}{% set ns.n = ns.n + i %}{{ loop.revindex }}{{ loop.previtem }}{% endfor %}{{ ns.n }}",
"{% macro f(a, b='B') %}[{{ a }}|{{ b }}]{% endmacro %}{{ f(1) }}{{ f('x', b=2) }}{{ f(b=3, a=4) }}{{ f() }}",
"{% set x %}  block {{ 1 }} {% endset %}<{{ x }}>{% set a, b = 1, 2 %}{{ a }}{{ b }}",
"{{ x is defined }} {{ messages is defined }} {{ none is none }} {{ 'a' is string }} {{ [] is iterable }} {{ {} is mapping }} {{ 'a' is iterable }} {{ 3 is number }} {{ true is boolean }} {{ 1 is sequence }} {{ 4 is divisibleby 2 }} {{ 3 is odd }} {{ x is not defined }} {{ not x is defined }} {{ 1 is integer }} {{ true is integer }} {{ 1.0 is float}} {{ 'ab' is lower }}",
"{{ 'a' in 'abc' }} {{ 'z' not in ['z'] }} {{ 'k' in {'k':1} }} {{ 1 < 2 < 3 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' < 'b' }} {{ [1,2] == [1,2] }} {{ none == x }} {{ x == y }} {{ 1 if false }}|{{ 'y' if x else 'n' }} {{ x or 'default' }} {{ 0 and 1 }} {{ '' or none }} {{ not '' }}",
"{{ '  a b  '.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'a,b,,c'.split(',') }}|{{ ' a  b c '.split() }}|{{ 'a-b-c'.split('-', 1) }}|{{ 'a-b-c'.rsplit('-', 1) }}|{{ ' a b c '.split(None, 1) }}|{{ 'Hello'.upper() }}{{ 'ÀÉß'.lower() }}{{ 'straße é'.upper() }}|{{ 'hello world-foo bar2baz it\\'s'.title() }}|{{ 'hELLO wORLD'.capitalize() }}|{{ 'aXbXc'.replace('X','--') }}|{{ 'aXbXc'.replace('X','-',1) }}|{{ 'abc'.find('c') }}{{ 'abc'.find('q') }}{{ 'abab'.count('ab') }}{{ '-'.join(['a','b']) }}|{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x','c')) }}|{{ 'a\\nb\\n'.splitlines() }}|{{ 'prefix-x'.removeprefix('prefix-') }}{{ 'x.py'.removesuffix('.py') }}{{ '12'.isdigit() }}",
"{{ [3,1,2]|sort }} {{ ['b','A','c']|sort }} {{ [1,2]|first }} {{ [1,2]|last }} {{ 'abc'|first }} {{ [1,1,2]|unique|list }} {{ [1,2,3]|sum }} {{ [1,5,2]|max }} {{ [1,5,2]|min }} {{ 'abc'|reverse }} {{ [1,2]|reverse|list }} {{ ' x '|trim }} {{ 'a b'|title }} {{ 'x'|upper }} {{ x|default('d') }} {{ ''|default('d', true) }} {{ none|default('q') }} {{ '12'|int + 1 }} {{ '1.5'|float }} {{ 'zz'|int }} {{ -3|abs }} {{ 2.567|round(2) }} {{ 3|string ~ 'a' }} {{ 'ab'|list }} {{ {'b':1,'a':2}|dictsort }} {{ {'a':1}|items|list }} {{ 'a\nb'|indent }} {{ 'a\nb\n\nc'|indent(2, true) }}",
"{{ messages|tojson }}|{{ {'a':[1,2.0,none,true,'é\"\\n\\t/']}|tojson }}|{{ {'a':[1,{'b':[]}],'c':{}}|tojson(indent=2) }}|{{ '<&>'|tojson }}|{{ {'b':1,'a':2}|tojson(sort_keys=true) }}|{{ 1e22|tojson }}",
"line1\n  {% if true %}\n  inside\n  {% endif %}\nafter\n   {{ 'x' }}\n{# comment #}\nend\n",
"a\n   {%- if true -%}\n   b\n   {%- endif %}\n c {{- ' d ' -}} e\n{%+ if true %}f{% endif +%}\ng\n",
"  {% set x = 1 %}  {% set y = 2 %}\n{{ x }}\t{% if x %}\tT{% endif %}\n\n",
"{% raw %}{{ not }} {% rendered %}{% endraw %}\n{% filter upper %}abc{{ 'd' }}{% endfilter %}",
"{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}",
"{% for m in messages %}{% for c in m.content %}{{ loop.depth }}{% if loop.index0 > 1 %}{% break %}{% endif %}{% endfor %}{{ loop.index }}{% endfor %}",
"{% if x is defined and x %}1{% elif messages|length > 100 %}2{% else %}3{% endif %}",
"{{ messages[0].foo }}|{{ messages[0]['bar'] }}|{{ messages[99] }}|{{ messages[0].get('role') }}|{{ messages[0].get('nope', 'dflt') }}|{{ messages[0].items()|list }}|{{ messages[0].keys()|list }}",
"{{ messages[0].foo.bar }}", "{{ undefined_fn() }}", "{{ 1 + 'a' }}", "{{ messages|nosuchfilter }}", "{{ 1 is nosuchtest }}", "{% include 'x' %}", "{{ 1 / 0 }}", "{% if %}", "{{ 'abc }}", "{% for x in y", "{% endif %}", "{{ raise_exception('no ' ~ 1) }}", "{% for x in 5 %}{% endfor %}",
"{% set outer = 1 %}{% for i in [1,2] %}{{ outer }}{% set outer = outer + 10 %}{{ outer }}{% endfor %}{{ outer }}",
"{% macro rec(n) %}{{ n }}{% if n > 0 %}{{ rec(n - 1) }}{% endif %}{% endmacro %}{{ rec(4) }}",
"{{ dict(a=1, b='x') }} {{ 'a' ~ 1 ~ none ~ true }} {{ 'x' * 3 }} {{ [1] + [2] }} {{ 'con' 'cat' }}",
"{{ \"tab\\tnew\\\\n\\u00e9\\x41\" }} {{ 'a\\/b' }}",
"{{ [{'a':{'b':1}},{'a':{'b':2}}]|map(attribute='a.b')|list }} {{ ['a','b']|map('upper')|list }} {{ [0,1,2]|select|list }} {{ [1,2,3,4]|select('even')|list }} {{ [1,2,3]|reject('gt', 2)|list }} {{ messages|selectattr('content')|list|length }} {{ messages|selectattr('nope','defined')|list|length }}",
"{{ (1 if true else 2) + 3 }} {{ 1 if false else 2 if false else 3 }} {{ -1 }} {{ - 1 + 2 }} {{ +5 }} {{ not true or true }} {{ (true and false) or 'z' }} {{ '2' ~ 3 * 4 }} {{ 10 - 2 - 3 }} {{ 2 ** 3 ** 1 }} {{ messages[0]['role'] | upper ~ '!' }} {{ 'a' + 'b' | upper }}",
"\r\nwin\r\n{% if true %}\r\nx\r\n{% endif %}\r\n",
"{{ '%s' | replace('%', '#') }}{{ 'a.b.c'.split('.')[-1] }}{{ messages[-1]['content'][:2] }}{{ 'abc' | replace('', '-') }}",
"{%- set ns = namespace() -%}{%- set ns.a = 1 -%}{{ ns.a }} {{ ns.b is defined }} {{ range(2, 10, 3)|list }} {{ range(3, 0, -1)|list }}",
"{{ {'a':1}.a }} {{ {'items': 5}['items'] }} {{ {1: 'one'}[1] }} {{ {'x': none}.x is none }} {{ [[1,2],[3]]|length }} {{ {'a':{}}.a == {} }} {{ true ~ false }} {{ 5|tojson }} {{ [1,2]|join }} {{ [1,'b',none]|join('-') }}",
"{% set messages = messages[1:] %}{% for message in messages %}{{ message.role }}{% if not loop.last %}, {% endif %}{% endfor %}",
"{% for message in messages -%}\n  {{ message.role }}\n{%- endfor %}\n\n{% if add_generation_prompt -%} gen {%- endif %}\n",
"{{ 'x' if messages[0].role is in ['user','system'] else 'y' }} {{ 3 is eq 3 }} {{ 'q' is in 'quack' }}",
]
for number, t in enumerate(CONSTRUCTS):
    T['constructs %d' % number] = t
M={
 'user':[{'role':'user','content':'Hello there'}],
 'sys':[{'role':'system','content':'Be brief. '},{'role':'user','content':'  Hi é  '}],
 'multi':[{'role':'user','content':'Q1'},{'role':'assistant','content':'A1\n'},{'role':'user','content':'Q2'}],
 'sysmulti':[{'role':'system','content':'S'},{'role':'user','content':'Q1'},{'role':'assistant','content':'<think>\nhm\n</think>\n\nA1'},{'role':'user','content':'Q2'},{'role':'assistant','content':'A2'}],
 'bad':[{'role':'assistant','content':'x'},{'role':'tool','content':'y'}],
 'parts':[{'role':'user','content':[{'type':'image'},{'type':'text','text':' what? '}]}],
 'tools':[{'role':'user','content':'w?'},{'role':'assistant','content':None,'tool_calls':[{'type':'function','function':{'name':'f','arguments':{'a':1,'b':[True,None,2.5,'é']}}}]},{'role':'tool','content':'42'},{'role':'tool','content':'43'},{'role':'assistant','content':'done'}],
 'empty':[{'role':'user','content':''}],
}

cases = []
for name, template in T.items():
    for which, messages in M.items():
        if name.startswith("constructs") and which not in ("sysmulti", "tools"):
            continue
        for generate in (False, True):
            try:
                want = reference._compile_jinja_template(template).render(
                    messages=messages, tools=None, documents=None, add_generation_prompt=generate,
                    bos_token="<s>", eos_token="</s>", unk_token="<unk>")
            except Exception:
                want = None
            cases.append({"template": name, "messages": which, "generate": generate, "want": want})
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "chat_cases.json"), "w", encoding="utf-8") as f:
    json.dump({"templates": T, "messages": M, "cases": cases}, f, ensure_ascii=False, indent=0)
    f.write("\n")
