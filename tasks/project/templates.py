"""The files of a new project, as text."""

from __future__ import annotations

DVC_CONFIG = """\
[core]
    analytics = false
    autostage = true
    check_update = false
    remote = storage
[cache]
    type = "reflink,copy"
['remote "storage"']
    url = ../../{name}-storage
"""

DVC_YAML = """\
# The only DAG. Each stage runs the flow of its name and reads the section of its name in params.yaml.
# {code}/ holds a digest of the tool's code a stage. `stylereel` commands keep it, and what stands between marks
# below, up to date; `stylereel sync` does before a `dvc repro` by hand.
stages:
  prepare:
    cmd: python -m flows.prepare
    deps:
      - {code}/prepare.txt
      # inputs: kept by `stylereel sync`
      # end of inputs
    params: [prepare, shots]
    outs: [data/prepared]
  train:
    cmd: python -m flows.train
    deps: [{code}/train.txt, data/prepared]
    params:
      - shots
      - train.recipe
      - train.common
      - train.${{train.recipe}}
      # recipes: kept by `stylereel sync`
      # end of recipes
    outs: [models]
    plots:
      - reports/train: {{x: step, title: Losses and validation}}
  evaluate:
    cmd: python -m flows.evaluate
    deps: [{code}/evaluate.txt, data/prepared, models]
    params: [evaluate]
    metrics: [reports/metrics.json, reports/speed.json]
    plots: [reports/evaluate]
  stylize:
    cmd: python -m flows.stylize
    deps:
      - {code}/stylize.txt
      - data/prepared
      - models
      - reports/evaluate
      - reports/metrics.json
      - reports/train
      # stylize.input: kept by `stylereel sync`
      # end of stylize.input
    params: [stylize]
    outs: [out/stylized, reports/review.html]

# The models; those of a commit on runs/nightly are the ones that its run has promoted.
artifacts:
  # artifacts: kept by `stylereel sync`
  # end of artifacts
"""

GITIGNORE = """\
/plates/
/painted/
/data/
/models/
/out/
/reports/
/mlflow.db*
/mlruns/
/mlartifacts/
/.stylereel/
"""

README = """\
# {name}

A stylereel project. Put the frames of a shot in `plates/my_shot`, paint one or a few of them into `painted/my_shot`
(any format, the same frame numbers), name your shots in `params.yaml`, and run

    stylereel stylize

The result is in `out/stylized`, the review page in `reports/review.html`. `stylereel --help` lists all commands.
Commit params.yaml, dvc.yaml and dvc.lock: they name every version of data and models. `dvc push` copies these to
`../{name}-storage`; `dvc remote modify storage url ...` sets another location.

`stylereel up` and `stylereel schedule "0 2 * * *" --timezone Europe/Berlin` let it run every night; `stylereel status`
shows how that went.

git ignores the pictures. Before you schedule or clone this project, and whenever the pictures change, add them to DVC;
`dvc pull plates.dvc painted.dvc` fetches them in a clone:

    dvc add plates painted && git commit --all -m "Add the pictures" && dvc push
"""

PREFECT_YAML = """\
# The deployments of this project, as `stylereel schedule` makes them with the parameters below. It sets the schedule:
#   dvc add plates painted && git commit --all -m "Add the pictures" && dvc push
#   stylereel up
#   stylereel schedule "0 2 * * *" --timezone Europe/Berlin
# `prefect --no-prompt deploy --all` makes the same deployments; it leaves their schedule as it is, unless one is below.
# Name and id are those of project.yaml. Work on demand has a queue and a worker of its own: it waits for no training.
name: "{name}"

build:
  # Refuses names that belong to another project on the server.
  - flows.services.deploy_step.claim_names: {{project: "{name}", project_id: "{id}"}}

pull:
  # A run works in the clone of the worker that takes it; of a worker without one, in this folder.
  - flows.services.checkout_step.enter_checkout: {{directory: "{{{{ directory }}}}"}}

deployments:
  - name: "{name}-nightly"
    description: Every night, bring data, models, figures and the stylized shots up to date.
    entrypoint: flows.pipeline.pipeline
    tags: [stylereel, "project:{name}", "project-id:{id}", training]
    parameters: {{scheduled: true, push: true}}
    schedules: []
    work_pool: {{name: stylereel, work_queue_name: "{name}"}}
  - name: "{name}-stylize"
    description: "On demand: stylize a folder with the promoted model, or with one from the registry."
    entrypoint: flows.pipeline.stylize_on_demand
    tags: [stylereel, "project:{name}", "project-id:{id}", stylize]
    parameters: {{input: "", output: "", model: ""}}
    schedules: []
    work_pool: {{name: stylereel, work_queue_name: "{name}-on-demand"}}
  - name: "{name}-inbox"
    description: "A hot folder: stylize shots that have stopped growing. Set folder, then activate the schedule."
    entrypoint: flows.pipeline.stylize_inbox
    tags: [stylereel, "project:{name}", "project-id:{id}", stylize]
    parameters: {{folder: "", output: ""}}
    schedules: [{{interval: 300, active: false}}]
    work_pool: {{name: stylereel, work_queue_name: "{name}-on-demand"}}
  - name: "{name}-watch"
    description: Every 15 minutes, report crashed, late and stuck runs and full disks; each morning, send the summary.
    entrypoint: flows.watch_flow.watch
    tags: [stylereel, "project:{name}", "project-id:{id}", watch]
    # summary_hour: of the day in timezone. The queue is its own: a second worker serves it while the first one trains.
    parameters: {{summary_hour: 7, timezone: UTC}}
    schedules: [{{interval: 900, timezone: UTC, active: false}}]
    work_pool: {{name: stylereel, work_queue_name: "{name}-watch"}}
"""
