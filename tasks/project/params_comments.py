"""Comments of params.yaml for settings without a description, and the example of a shot."""

from __future__ import annotations

COMMENTS: dict[str, str] = {
    "prepare.source": "kind of input, see docs/data.md",
    "prepare.sample.frames": "frames of the shot",
    "prepare.sample.width_px": "width of the frames",
    "prepare.sample.height_px": "height of the frames",
    "prepare.working_space": "colour space of the networks: srgb, linear_rec709, an OpenColorIO name, or a view",
    "prepare.content_space": "colour space of content pictures; auto: as tagged, else integers are sRGB, floats linear",
    "prepare.style_space": "colour space of style pictures and painted frames",
    "prepare.sample_type": "sample type of the store; uint16 and half for film",
    "prepare.min_side_px": "smaller pictures are rejected",
    "prepare.validation_fraction": "share of a collection's pictures, or of a key frame's area, for validation",
    "prepare.test_fraction": "share of a collection's pictures for evaluate",
    "prepare.max_bad_fraction": "fraction of rejected pictures above which the stage fails; all are listed",
    "train.common.seed": "seed of all random numbers",
    "train.common.accelerator": "auto: CUDA, else MPS, else the CPU",
    "train.common.devices": "number of GPUs",
    "train.common.precision": "auto: bf16 if the hardware computes it fast, else fp32",
    "train.common.validate_every_steps": "validation on held-out areas or pictures, every n steps",
    "train.common.sample_every_steps": "log a grid of pictures to MLflow every n steps",
    "train.common.log_every_steps": "log losses to the loss curve and to MLflow every n steps",
    "train.common.checkpoint_every_s": "largest time between checkpoints",
    "train.common.weights": "weights that stylize uses; both are kept and reported",
    "train.common.model_per_shot": "false: one model for all shots",
    "evaluate.baselines": "compare with Gaussian, median, bilateral and Reinhard filters, tuned on the key frames",
    "evaluate.temporal": "measure flicker of consecutive frames",
    # Fields of several recipes; the description of a recipe's own field comes first.
    "batch_size": "crops for each step",
    "generator_lr": "learning rate of Adam",
    "discriminator_lr": "learning rate of Adam",
    "beta1": "beta1 of Adam",
    "beta2": "beta2 of Adam",
    "lr_schedule": "decay of the learning rates between the two steps below",
    "lr_decay_start_step": "an absolute step, so that a larger budget continues a run",
    "lr_decay_end_step": "an absolute step",
    "r1_gamma": "weight of the penalty on the discriminator's gradient (Mescheder et al. 2018); 0: off",
    "channels": "channels of the generator's first layer",
    "blocks": "residual blocks",
    "discriminator_channels": "channels of the discriminator's first layer",
    "discriminator_layers": "strided layers of the discriminator",
    "adversarial_weight": "weight of the adversarial loss",
    "l1_weight": "weight of the L1 distance to the painting",
    "nce_temperature": "temperature of PatchNCE",
    "projection_width": "width of the projection heads of PatchNCE",
    "downsamplings": "downsamplings by 2 before the residual blocks",
    "style_layers": "layers whose statistics are the style",
}
"""By dotted path, or by the name of a field of several recipes."""

SHOTS_EXAMPLE = """\
# Your shots. One model is trained for each shot, or one for all: train.common.model_per_shot.
shots:
  - name: my_shot                 # names the model and the output: models/my_shot, out/stylized/my_shot
    plates: plates/my_shot        # the frames to stylize: a folder, or a pattern such as plates/my_shot/sh010.####.png
    painted: painted/my_shot      # the painted key frames, matched to the plates by frame number
    # masks: masks/my_shot        # white where a key frame is painted, if only a part of it is
    # truth: truth/my_shot        # further painted frames, for evaluation only
    # frames: 1001-1100x2         # default: all
    # pairs:                      # further before/after pictures, matched by name
    #   - content: pairs/before
    #     style: pairs/after
    # train:                      # overrides of the section train, for this shot only
    #   keyframe: {budget_steps: 3000}
    #   common: {init_from: 0123456789ab}   # after painting one more key frame: start from the model with this
    #                                       # digest, which `stylereel whence models/my_shot` prints
"""
